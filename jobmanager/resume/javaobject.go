package resume

// The properties of a checkpoint end the file as one Java object. This reads through
// it by the grammar of the Java Object Serialization Specification, section 6.4.2, as
// far as objects without arrays and class objects need it.
const (
	javaMagic   = 0xaced
	javaVersion = 5
	firstHandle = 0x7e0000

	tcNull         = 0x70
	tcReference    = 0x71
	tcClassDesc    = 0x72
	tcObject       = 0x73
	tcString       = 0x74
	tcBlockData    = 0x77
	tcEndBlockData = 0x78
	tcEnum         = 0x7e

	scWriteMethod  = 0x01
	scSerializable = 0x02
)

// javaClass is what a class description says of the data of its objects.
type javaClass struct {
	fields string // the type code of each
	flags  byte
	super  *javaClass
}

// javaReader numbers what may be referred to later; what is no class is nil.
type javaReader struct {
	*reader
	handles []*javaClass
}

func (r *reader) javaStream() {
	if r.short() != javaMagic || r.short() != javaVersion {
		r.fail("its properties are no Java object")
		return
	}
	j := &javaReader{reader: r}
	j.content()
}

// content reads one object, string or null; true: it was the end of a block.
func (j *javaReader) content() (end bool) {
	if !j.deeper() {
		return true
	}
	defer func() { j.depth-- }()
	switch tag := j.byte(); tag {
	case tcNull:
	case tcReference:
		j.number()
	case tcString:
		j.add(nil)
		j.text()
	case tcObject:
		class := j.class()
		j.add(nil)
		j.data(class)
	case tcEnum:
		j.class()
		j.add(nil)
		j.content()
	case tcBlockData:
		j.skip(int64(j.byte()))
	case tcEndBlockData:
		return true
	default:
		j.unknown("Java content", tag)
		return true
	}
	return j.err != nil
}

func (j *javaReader) add(c *javaClass) { j.handles = append(j.handles, c) }

// class reads a class description, nil if there is none.
func (j *javaReader) class() *javaClass {
	if !j.deeper() {
		return nil
	}
	defer func() { j.depth-- }()
	switch tag := j.byte(); tag {
	case tcNull:
		return nil
	case tcReference:
		at := int(j.number()) - firstHandle
		if j.err == nil && (at < 0 || at >= len(j.handles) || j.handles[at] == nil) {
			j.fail("its properties refer to a class that is not there")
		}
		if j.err != nil {
			return nil
		}
		return j.handles[at]
	case tcClassDesc:
	default:
		j.unknown("Java class", tag)
		return nil
	}
	c := &javaClass{}
	j.text() // name
	j.skip(8)
	j.add(c)
	c.flags = j.byte()
	for range j.short() {
		if j.err != nil {
			return nil
		}
		code := j.byte()
		j.text() // name
		if code == 'L' || code == '[' {
			j.content() // the type's name
		}
		c.fields += string(rune(code))
	}
	j.annotations()
	c.super = j.class()
	return c
}

// annotations reads up to the end of a block.
func (j *javaReader) annotations() {
	for j.err == nil && !j.content() {
		continue
	}
}

// data reads the fields of an object, those of the topmost class first.
func (j *javaReader) data(c *javaClass) {
	if c == nil || j.err != nil {
		return
	}
	j.data(c.super)
	if c.flags&scSerializable == 0 {
		j.unknown("Java class with flags", c.flags)
		return
	}
	for _, code := range c.fields {
		switch code {
		case 'B', 'Z':
			j.skip(1)
		case 'C', 'S':
			j.skip(2)
		case 'I', 'F':
			j.skip(4)
		case 'J', 'D':
			j.skip(8)
		case 'L':
			j.content()
		default:
			j.unknown("Java field", byte(code))
		}
	}
	if c.flags&scWriteMethod != 0 {
		j.annotations()
	}
}
